from dataclasses import dataclass
@dataclass
class Measured:
    what: str
