"""The models the server can load, and the code that puts them there."""
