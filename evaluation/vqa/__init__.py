"""Questions of the released format, asked of an endpoint."""
