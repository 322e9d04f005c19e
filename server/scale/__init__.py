"""Several servers behind one address, placed and watched by Ray Serve.

A replica is a whole server: HTTP, images, tower and engine, on one GPU or one group of them. Ray
starts, drains and replaces replicas; HAProxy, which Ray Serve runs, carries bytes to them. This is
the only package that imports Ray.
"""
