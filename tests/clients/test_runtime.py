"""Invoking what is deployed, and sessions."""

import urllib.error
import urllib.request
import uuid
from urllib.parse import quote

from conftest import WORLD, client, refused


def session():
    return f"session-{uuid.uuid4().hex}-{uuid.uuid4().hex[:8]}"


def arn(name):
    return f"arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/{name}"


def test_an_agent_is_invoked_by_arn_and_by_name_for_nobody(data):
    for runtime in (arn(WORLD["agent"]), WORLD["agent"]):
        wanted = session()
        answer = data.invoke_agent_runtime(agentRuntimeArn=runtime, runtimeSessionId=wanted, payload=b"{}")
        assert answer["statusCode"] == 200
        assert answer["runtimeSessionId"] == wanted
        text = answer["response"].read().decode()
        assert WORLD["agent"] in text and "nobody in particular" in text


def test_a_session_is_given_to_who_brings_none(data):
    answer = data.invoke_agent_runtime(agentRuntimeArn=arn(WORLD["agent"]), payload=b"{}")
    assert len(answer["runtimeSessionId"]) >= 33


def test_a_users_id_needs_a_right_and_the_operators_trust(data, workload):
    ask = {"agentRuntimeArn": arn(WORLD["agent"]), "payload": b"{}", "runtimeUserId": "alice"}
    refused(data.exceptions.AccessDeniedException, data.invoke_agent_runtime, **ask)
    trusted = data.invoke_agent_runtime(**{**ask, "agentRuntimeArn": arn(WORLD["trusting_agent"])})
    assert "alice" in trusted["response"].read().decode()


def test_a_users_own_token_needs_no_access_key(idp):
    url = f"{WORLD['url']}/runtimes/{quote(arn(WORLD['agent']), safe='')}/invocations"
    headers = {"authorization": f"Bearer {idp.token('alice')}", "content-type": "application/json"}
    request = urllib.request.Request(url, b"{}", headers, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert "alice" in answer.read().decode()
    for bad in ("not.a.token", idp.token("alice", expires_in=-120)):
        request = urllib.request.Request(url, b"{}", {**headers, "authorization": f"Bearer {bad}"}, method="POST")
        try:
            urllib.request.urlopen(request, timeout=30)
            raise AssertionError("a token that does not verify invokes nothing")
        except urllib.error.HTTPError as error:
            assert error.code == 401 and error.headers["www-authenticate"]


def test_a_session_belongs_to_its_user(data):
    mine = session()
    ask = {"agentRuntimeArn": arn(WORLD["trusting_agent"]), "payload": b"{}", "runtimeSessionId": mine}
    data.invoke_agent_runtime(**ask, runtimeUserId="alice")["response"].read()
    data.invoke_agent_runtime(**ask, runtimeUserId="alice")["response"].read()
    error = refused(data.exceptions.ClientError, data.invoke_agent_runtime, **ask, runtimeUserId="bob")
    assert error.response["Error"]["Code"] in ("AccessDeniedException", "ValidationException")


def test_a_session_is_stopped_once(data):
    mine = session()
    data.invoke_agent_runtime(agentRuntimeArn=arn(WORLD["agent"]), payload=b"{}", runtimeSessionId=mine)["response"].read()
    stopped = data.stop_runtime_session(agentRuntimeArn=arn(WORLD["agent"]), runtimeSessionId=mine)
    assert stopped["statusCode"] == 200
    refused(data.exceptions.ResourceNotFoundException, data.stop_runtime_session, agentRuntimeArn=arn(WORLD["agent"]), runtimeSessionId=mine)


def test_an_agent_that_is_not_there_is_not_found(data):
    refused(data.exceptions.ResourceNotFoundException, data.invoke_agent_runtime, agentRuntimeArn=arn("nobody"), payload=b"{}")


def test_a_key_for_other_workloads_invokes_nothing(data):
    limited = client("bedrock-agentcore", WORLD["runtime_key"])
    refused(limited.exceptions.AccessDeniedException, limited.invoke_agent_runtime, agentRuntimeArn=arn(WORLD["agent"]), payload=b"{}")
