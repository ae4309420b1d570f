"""The debugging story of the README, told by the program itself."""
