"""Invented people: believable names under addresses that can belong to nobody (RFC 2606)."""

from __future__ import annotations

import unicodedata

# No password has this hash: Django and bcrypt both refuse to read it.
UNUSABLE_PASSWORD = "!invented-nobody-can-sign-in"  # noqa: S105

FIRST_NAMES = """
    Maren Tomasz Priya Ola Julien Sadia Henrik Chloé Wei-Lin Beatriz Aleksandr Grace Dana Ines Mateo Yuki Amara
    Lukas Sofia Noah Fatima Elias Hannah Kwame Isabel Rafael Leila Oskar Nadia Viktor Camille Arjun Freya Samuel
    Marta Jonas Aisha Piotr Lucía Daniel Ingrid Farid Clara Hugo Zanele Emil Rosa Andrei Naomi Felix Joana Kenji
    Astrid Omar Helena Marco Salma Anders Eva Tariq Lena Diego Mira Stefan Alba Ravi Ida Pavel Noor Theo Carmen
    Idris Greta Luca Yara Simon Ana Milan Esther Jakob Dalia Bruno Signe Ivan Thandi Erik Paula Hassan Linnea Victor
    Meera Colin Juliette Sven Adaeze Martin Elif Patrick Nour Gustav Renata Malik Sanne Leon Pilar Aron Vera Jamal
    Tessa Nils Rania Oliver Mirela Kofi Agnes Dmitri Laila Peter Saoirse Bogdan
""".split()  # noqa: SIM905
LAST_NAMES = """
    Okafor Lindqvist Raghunathan Bright-Hansen Abadie Rahman Vale N’Diaye Tsao Camargo Petrov Mwangi Whitcombe
    Marchetti Alvarez Tanaka Osei Berger Ricci Fischer Haddad Novák Keller Mensah Duarte Costa Farahani Nyström Ilić
    Moreau Iyer Sandberg Adler Wójcik Brandt Siddiqui Kowalski Vega Larsen Aziz Hoffmann Laurent Dlamini Falk
    Santoro Ionescu Ferreira Watanabe Holm Khalil Papadopoulos Bianchi Mansour Dahl Horvat Qureshi Weber Ortega Sato
    Jensen Navarro Banerjee Virtanen Sokolov Van-Dijk Lambert Fuentes Bello Kaiser Romano Darwish Steiner Pereira
    Markovic Cohen Lund Saleh Greco Nilsen Popescu Zulu Ekström Pinto Karimi Moser Desai O’Brien Girard Schulz Eze
    Bauer Yılmaz Quinn Fahmy Hedlund Oliveira Diallo De-Vries Winter Molina Szabó Orlov Abbas Hart Strand Chaudhry
    Kone Medina Varga Asante Lindgren Balogun Rossi Kim Mendes Kaya Brennan Tóth
""".split()  # noqa: SIM905


def invented_name(number: int) -> str:
    """A full name for a number. Neighbouring numbers have unlike names; it repeats after some 14,000."""
    first = FIRST_NAMES[number * 47 % len(FIRST_NAMES)]
    last = LAST_NAMES[(number * 31 + number // len(FIRST_NAMES)) % len(LAST_NAMES)]
    return f"{first} {last}"


def mailbox(name: str) -> str:
    """The name as the part of an address before the @: plain ASCII, lower case, dots between words."""
    plain = unicodedata.normalize("NFKD", name.replace("ı", "i").replace("ø", "o").replace("ł", "l"))
    letters = "".join(char if char.isascii() and char.isalnum() else " " for char in plain if char not in "’'`")
    words = "".join(char for char in letters if char.isascii()).split()
    return ".".join(words).lower()[:60] or "somebody"
