"""What every host shares: requests, tasks, events, errors and ports. Imports no host, Redis or provider library."""
