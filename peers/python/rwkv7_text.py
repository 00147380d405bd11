"""The text of the small RWKV-7 model: lines of a grammar, most of them tasks with one right answer.

    recall   k=17 b=93 q=40; b=93 q=40 k=17        pairs, then some of them again in another order
    copy     copy hwzkq > hwzkq
    sum      sum 12+7 = 19
    prose    the small dogs see a red bird.

A line is a list of parts; a part is a text and whether it is an answer. What stands before an answer determines it.
An eighth of all tasks, chosen by a checksum of what the task is about, is held out: training never sees it.
"""

import random
import zlib

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ADJECTIVES = ["small", "red", "old", "quiet", "happy", "tall"]
NOUNS = ["dog", "cat", "bird", "child", "king", "tree"]
PLURALS = ["dogs", "cats", "birds", "children", "kings", "trees"]
VERBS = ["see", "like", "follow", "find", "hear", "know"]
SHARES = {"recall": 0.55, "copy": 0.2, "sum": 0.15, "prose": 0.1}
MOST_PAIRS = 5


def is_held_out(subject):
    return zlib.crc32(subject.encode()) % 8 == 0


def drawn(rng, held_out, draw):
    """A draw whose subject is on the side of the split that is asked for."""
    while True:
        subject, rest = draw()
        if is_held_out(subject) == held_out:
            return subject, rest


def recall(rng, held_out, most_pairs=MOST_PAIRS):
    def draw():
        keys = rng.sample(LETTERS, rng.randint(2, most_pairs))
        pairs = [(key, f"{rng.randrange(100):02}") for key in keys]
        return " ".join(f"{key}={value}" for key, value in pairs), pairs

    subject, pairs = drawn(rng, held_out, draw)
    parts = [(subject + ";", False)]
    for key, value in rng.sample(pairs, len(pairs)):
        parts += [(f" {key}=", False), (value, True)]
    return parts


def copy(rng, held_out):
    word, _ = drawn(rng, held_out, lambda: ("".join(rng.choices(LETTERS, k=rng.randint(3, 8))), None))
    return [(f"copy {word} > ", False), (word, True)]


def addition(rng, held_out):
    def draw():
        a, b = rng.randrange(21), rng.randrange(21)
        return f"{a}+{b}", a + b

    subject, total = drawn(rng, held_out, draw)
    return [(f"sum {subject} = ", False), (str(total), True)]


def prose(rng):
    def phrase(plural):
        noun = rng.choice(PLURALS if plural else NOUNS)
        article = rng.choice(["the", "some"] if plural else ["the", "a"])
        return f"{article} {rng.choice(ADJECTIVES)} {noun}"

    plural = rng.random() < 0.5
    verb = rng.choice(VERBS) + ("" if plural else "s")
    return [(f"{phrase(plural)} {verb} {phrase(rng.random() < 0.5)}.", False)]


def line(rng, task, held_out=False, most_pairs=MOST_PAIRS):
    if task == "recall":
        return recall(rng, held_out, most_pairs)
    return {"copy": copy, "sum": addition}[task](rng, held_out) if task != "prose" else prose(rng)


def sequence(rng, length, most_pairs):
    """Lines for training, cut to a length: bytes, and for each whether it belongs to an answer."""
    text, answer = b"", []
    while len(text) < length:
        task = rng.choices(list(SHARES), SHARES.values())[0]
        for part, is_answer in [*line(rng, task, most_pairs=most_pairs), ("\n", False)]:
            text += part.encode()
            answer += [is_answer] * len(part)
    return text[:length], answer[:length]


def prompts(seed, counts):
    """Held-out prompts and their answers, `counts` of each task, without duplicates."""
    rng = random.Random(f"prompts {seed}")
    found = {}
    for task, count in counts.items():
        before = len(found)
        while len(found) < before + count:
            parts = line(rng, task, held_out=True)
            at = rng.choice([i for i, (_, is_answer) in enumerate(parts) if is_answer])
            prompt = "".join(text for text, _ in parts[:at])
            found.setdefault(prompt, {"task": task, "prompt": prompt, "answer": parts[at][0]})
    return list(found.values())
