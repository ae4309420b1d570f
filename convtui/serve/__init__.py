"""The program in a browser: a local web server, and one process of the program for each page."""
