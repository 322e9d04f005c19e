"""Errors arrive as the clients' own classes, with a readable message."""

from typing import Any

from tests.clients.scenarios import parametrize_scenarios

# The clients' exceptions for 404 and 400. instructor wraps every error.
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


def assert_attributes(result: Any, status: int, **expected: str) -> None:
    """Check the attributes that a client's error has."""
    assert result.get("status_code") in (status, None)
    for name, value in expected.items():
        assert result.get(name) in (value, None)
        if result.get(name) is None and result.get("body"):
            assert f'"{name}":"{value}"' in result["body"]


@parametrize_scenarios("model_not_found", "no_such_model", "response_model_not_found")
def test_there_is_no_such_model(result: Any) -> None:
    assert result["raised"] in NOT_FOUND
    assert "The model 'nothing' does not exist: this server has" in result["message"]
    assert_attributes(result, 404, param="model", code="model_not_found")


@parametrize_scenarios("bad_parameter")
def test_a_parameter_is_wrong(result: Any) -> None:
    assert result["raised"] in BAD_REQUEST
    assert "Input should be less than or equal to" in result["message"]
    assert_attributes(result, 400, code="invalid_value", type="invalid_request_error")


@parametrize_scenarios("broken_image", "response_broken_image")
def test_an_image_is_broken(result: Any) -> None:
    assert result["raised"] in BAD_REQUEST
    assert "not an image of a supported format" in result["message"]
    assert_attributes(result, 400, code="image_format_unsupported")
