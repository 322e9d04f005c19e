"""Errors come back as the clients' own classes, with a message that can be read."""

from typing import Any

from tests.clients.asked import asked

# How clients call a 404 and a 400. instructor wraps whatever happens.
NOT_FOUND = {
    "APICallError",
    "InstructorRetryException",
    "ModelHTTPError",
    "NotFoundError",
    "OpenAIModelNotFoundError",
}
BAD_REQUEST = {
    "APICallError",
    "BadRequestError",
    "ModelHTTPError",
    "OpenAIInvalidRequestError",
}


def check_attributes(result: Any, status: int, **expected: str) -> None:
    """Compare the attributes that a client's error has."""
    assert result.get("status_code") in (status, None)
    for name, value in expected.items():
        assert result.get(name) in (value, None)
        if result.get(name) is None and result.get("body"):
            assert f'"{name}":"{value}"' in result["body"]


@asked("model_not_found", "no_such_model", "response_model_not_found")
def test_there_is_no_such_model(result: Any) -> None:
    assert result["raised"] in NOT_FOUND
    assert "The model 'nothing' does not exist." in result["message"]
    check_attributes(result, 404, param="model", code="model_not_found")


@asked("bad_parameter")
def test_a_parameter_is_wrong(result: Any) -> None:
    assert result["raised"] in BAD_REQUEST
    assert "Input should be less than or equal to" in result["message"]
    check_attributes(result, 400, code="invalid_value", type="invalid_request_error")


@asked("broken_image", "response_broken_image")
def test_an_image_is_broken(result: Any) -> None:
    assert result["raised"] in BAD_REQUEST
    assert "not an image of a supported format" in result["message"]
    check_attributes(result, 400, code="image_format_unsupported")
