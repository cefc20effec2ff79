"""Everything else that these clients can ask for, and that this host does not have: each says so, in a typed error."""

import pytest
from botocore.exceptions import ClientError
from test_limits import CLIENTS, GOOD


def least(shape):
    """The smallest value of a shape; nobody looks at it."""
    kind = shape.type_name
    if kind == "structure":
        if getattr(shape, "is_tagged_union", False):
            name, member = next(iter(shape.members.items()))
            return {name: least(member)}
        return {name: least(shape.members[name]) for name in shape.required_members}
    if kind == "list":
        return [least(shape.member)]
    if kind == "map":
        return {}
    if kind == "string":
        return shape.enum[0] if shape.enum else "x" * max(12, shape.metadata.get("min", 0))
    return {"boolean": False, "blob": b"{}", "timestamp": 0, "double": 1.0, "float": 1.0}.get(kind, 1)


def others():
    for service, known in GOOD.items():
        model = CLIENTS[service].meta.service_model
        for operation in model.operation_names:
            if operation not in known:
                yield pytest.param(service, operation, id=operation)


@pytest.mark.parametrize("service,operation", list(others()))
def test_what_is_not_offered_is_refused_by_a_typed_error_that_says_so(service, operation):
    asked = CLIENTS[service]
    shape = asked.meta.service_model.operation_model(operation).input_shape
    arguments = least(shape) if shape else {}
    with pytest.raises(ClientError) as caught:
        asked._make_api_call(operation, arguments)
    error = caught.value
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    assert 400 <= status < 500, error.response
    assert isinstance(error, getattr(asked.exceptions, error.response["Error"]["Code"])), error.response
    assert "not offered" in error.response["Error"]["Message"], error.response["Error"]


def test_payments_are_refused_where_they_would_be_asked_for(data):
    """The one that the identity part of the SDK itself may call."""
    with pytest.raises(data.exceptions.ClientError) as caught:
        data.get_resource_payment_token(
            workloadIdentityToken="x",
            resourceCredentialProviderName="wallet",
            paymentTokenRequest=least(
                data.meta.service_model.operation_model("GetResourcePaymentToken").input_shape.members["paymentTokenRequest"]
            ),
        )
    assert "not offered" in caught.value.response["Error"]["Message"]
