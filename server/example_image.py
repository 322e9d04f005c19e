"""The image of the example requests in the documentation and in the banner."""

from typing import Final

# A red circle beside a blue square, on white, 64 x 64 pixels.
EXAMPLE_IMAGE_URL: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAgMAAADXB5lNAAAACVBMVEX////cKCgoUNyM"
    "GkLuAAAAaUlEQVR42u2QMQqAMAwAL6UP6OJ/fITuPs/RJ/ikTi4WdAjWFNFNXXqQQo8jQ6DyD01vPgLSsU7gRmAZHH"
    "jwZ+EggBSiRecQAhBsUeJ0oX8qXhEJ0Oeu2ACiLWZ0soholUWyO683rXzADvVfDvqCPjIUAAAAAElFTkSuQmCC"
)
