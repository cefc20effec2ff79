"""A host where a caller may invoke once a second, and ten times at once."""

import time

from conftest import WORLD, refused


def test_who_asks_too_often_is_throttled_and_served_again_later(data):
    ask = {"agentRuntimeArn": WORLD["agent"], "payload": b"{}"}
    served = 0
    for _ in range(100):
        try:
            data.invoke_agent_runtime(**ask)["response"].read()
            served += 1
        except data.exceptions.ThrottlingException as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 429
            wait = int(error.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"])
            assert 1 <= wait <= 10
            break
    else:
        raise AssertionError("a hundred calls in a row were all served")
    assert served >= 10
    refused(data.exceptions.ThrottlingException, data.invoke_agent_runtime, **ask)
    time.sleep(wait + 1)
    assert data.invoke_agent_runtime(**ask)["statusCode"] == 200
