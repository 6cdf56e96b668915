"""A cache of prompts' beginnings, with a capacity and a time after which it forgets."""


class PrefixCache:
    """Prefixes by name with the tokens held of each: the least recently used goes first, and after a time each is forgotten."""

    def __init__(self, capacity: float, ttl: float):
        self.capacity, self.ttl, self.held, self.used = capacity, ttl, {}, 0

    def find(self, name: str, now: float) -> int:
        """Tokens held of `name`, which counts as a use."""
        tokens, last = self.held.get(name, (0, now))
        if now - last > self.ttl:
            self.used -= self.held.pop(name)[0]
            return 0
        if tokens:
            self.held[name] = self.held.pop(name)[0], now  # to the end: most recently used
        return tokens

    def keep(self, name: str, tokens: int, now: float) -> None:
        """Hold `tokens` of `name`, if they fit at all."""
        self.used -= self.held.pop(name, (0, 0))[0]
        if tokens > self.capacity:
            return
        self.held[name], self.used = (tokens, now), self.used + tokens
        while self.used > self.capacity:
            self.used -= self.held.pop(next(iter(self.held)))[0]
