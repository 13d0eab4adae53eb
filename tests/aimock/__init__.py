"""aimock, the emulator of eleven model providers over their real protocols, as a test fixture."""
