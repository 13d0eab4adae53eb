"""Libraries whose calls become observations. Each module imports its library only when it is used."""
