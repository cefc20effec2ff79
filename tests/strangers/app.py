"""The smallest component in Python."""

import wit_world


class WitWorld(wit_world.WitWorld):
    def run(self, who: str) -> str:
        return "hello " + who
