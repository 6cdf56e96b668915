"""The fields of a `config.json`, read with checks."""

from collections.abc import Collection, Mapping

MISSING = object()
LARGEST = 10**9


class ConfigError(ValueError):
    """A config that gives no model: the message says what was given, what is needed and the way out."""


class Fields:
    """The fields of one config, read with checks; `read` holds the names that were asked for.

    A field that is null has no value. One that is absent has the value of `usual`, where the architecture has one.
    """

    def __init__(self, fields: Mapping, place: str = "config.json", usual: Mapping = {}):
        self._fields, self.place, self.read = {**usual, **fields}, place, set()

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        self.read.add(name)
        return self._fields.get(name) is not None

    def get(self, name: str, usual=None):
        """The field as it stands."""
        return self._fields[name] if self.has(name) else usual

    def whole(self, *names: str, usual=MISSING, least: int = 1) -> int:
        """The first of `names` that is there, a whole number from `least` up."""
        for name in names:
            if self.has(name):
                value = self._fields[name]
                if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST:
                    raise ConfigError(f"{self.place} has {name} = {value!r}; it must be a whole number "
                                      f"from {least} to {LARGEST:,}")
                return value
        if usual is MISSING:
            kind = f"; a {self.get('model_type')} model needs it" if self.has("model_type") else ", which is needed there"
            raise ConfigError(f"{self.place} has no {' or '.join(names)}{kind}")
        return usual

    def flag(self, name: str, usual: bool) -> bool:
        """A field that is true or false."""
        value = self.get(name, usual)
        if not isinstance(value, bool):
            raise ConfigError(f"{self.place} has {name} = {value!r}; it must be true or false")
        return value

    def word(self, name: str, known: Collection[str], usual=MISSING) -> str:
        """A field that is one of `known`."""
        value = self.get(name, None if usual is MISSING else usual)
        if not isinstance(value, str) or value not in known:
            raise ConfigError(f"{self.place} has {name} = {value!r}, which the book does not know; it knows {', '.join(known)}")
        return value

    def series(self, name: str, length: int) -> list:
        """A field with one entry for each of `length` layers."""
        value = self.get(name)
        if not isinstance(value, list) or len(value) != length:
            given = f"{len(value)} entries" if isinstance(value, list) else repr(value)
            raise ConfigError(f"{self.place} has {name} with {given}; it needs one entry for each of {length} layers")
        return value

    def within(self, name: str) -> "Fields":
        """The fields below a field that is an object."""
        value = self.get(name)
        if not isinstance(value, Mapping):
            raise ConfigError(f"{self.place} has {name} = {value!r}; there must be an object with fields of its own")
        return Fields(value, f"{self.place}, {name}")
