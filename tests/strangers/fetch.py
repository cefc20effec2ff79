"""A component in Python that sends an HTTP request, on its export's word."""

import wit_world
from wit_world.imports import outgoing_handler
from wit_world.imports.types import Fields, OutgoingRequest


class WitWorld(wit_world.WitWorld):
    def run(self, who: str) -> str:
        request = OutgoingRequest(Fields())
        request.set_authority(who)
        outgoing_handler.handle(request, None).subscribe().block()
        return "sent"
