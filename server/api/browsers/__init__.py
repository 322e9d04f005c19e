"""What web pages of other origins may do: hosts, origins, CORS and headers that browsers obey."""
