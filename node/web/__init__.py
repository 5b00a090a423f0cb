"""The HTTP surfaces: public HTTPS, and loopback for the machine itself."""
