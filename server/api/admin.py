"""The application of the admin port: metrics, probes and version; it asks for no key."""

from fastapi import FastAPI

from server.api.error_handlers import add_error_handlers
from server.api.route_path import HeadAsGet, RoutePath
from server.api.routes import health, metrics
from server.api.runtime import Runtime


def build_admin_app(runtime: Runtime) -> FastAPI:
    """Build the application."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.runtime = runtime
    app.include_router(health.router)
    app.include_router(metrics.router)
    add_error_handlers(app)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RoutePath)
    return app
