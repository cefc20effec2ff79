"""A component in Python that looks at its environment."""

import wit_world
from wit_world.imports import environment


class WitWorld(wit_world.WitWorld):
    def run(self, who: str) -> str:
        return who + repr(environment.get_environment())
