"""Counts comparisons, and prints the last line that `cargo xtask agree` reads."""

import json


class Counts:
    """Numbers of comparisons by topic: agreed, differed, left out."""

    def __init__(self):
        self.topics = {}

    def topic(self, what):
        return self.topics.setdefault(what, {"what": what, "agreed": 0, "differed": [], "left_out": {}})

    def tell(self, what, name, is_same, how="they are not the same"):
        """Counts one comparison; `how` is what each side has."""
        topic = self.topic(what)
        if is_same:
            topic["agreed"] += 1
        else:
            topic["differed"].append({"name": name, "how": how})

    def leave_out(self, what, why):
        """Counts one comparison that cannot be made."""
        left_out = self.topic(what)["left_out"]
        left_out[why] = left_out.get(why, 0) + 1

    def line(self, versions):
        topics = [
            topic | {"left_out": [{"why": why, "n": n} for why, n in topic["left_out"].items()]}
            for topic in self.topics.values()
        ]
        return json.dumps({"versions": versions, "topics": topics})
