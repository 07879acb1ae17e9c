"""What a training picture shows and how it is said: one seeded draw gives a caption and a layout.

A caption is built from an emoji's names, its style, a colour and a background. The layout
(which pictures, hue, mirror, background colour) goes to `images.compose`, which paints it, so
words and pixels always agree. No caption is stored: a run sees millions of different ones.
"""

import json
import random
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

EVAL_PROMPTS = [
    "a red heart",
    "smiling cat face",
    "a slice of pizza",
    "flag of japan",
    "a rocket",
    "a dog",
    "a birthday cake",
    "a blue car",
    "a house",
    "a tree",
    "a purple apple",
    "a green heart on a yellow background",
    "a cat and a dog",
    "a pizza next to a rocket",
    "a robot, flat style",
    "an owl, noto style",
    "a dragon, twemoji style",
    "a guitar",
    "flag of brazil",
    "a penguin on a blue background",
    "a cup of coffee",
    "an octopus",
    "a pink butterfly",
    "a castle on a black background",
]
"""Prompts of the picture grids that every stage writes; near the captions' own wording."""

PARAPHRASED_PROMPTS = [
    "a crimson love heart",
    "a grinning kitten",
    "a piece of cheesy pizza",
    "the japanese flag",
    "a spaceship blasting off",
    "cake with candles on it",
    "an automobile painted blue",
    "a small cottage",
    "a big oak tree",
    "hot coffee in a mug",
    "a green car",
    "a red balloon",
    "a fire truck",
    "a spooky ghost",
    "a snowman on a dark blue background",
    "an airplane on a light blue background",
    "a red apple and a banana",
    "a turtle next to a mushroom",
    "christmas tree with lights",
    "cartoon frog",
    "a blue butterfly on a yellow background",
    "a yellow guitar",
    "canadian flag",
    "a strawberry, flat style",
]
"""Prompts worded as no caption is, or that combine what no picture combines."""

EXTRA_WORDS = (
    "picture image photo drawing illustration render rendered cartoon cute little big tiny large"
    " beautiful happy sad angry colorful bright dark light style flat noto twemoji fluent emoji"
    " icon left right next to beside and with on the background plain round circular of above"
    " below white black gray grey brown violet magenta cyan turquoise gold golden silver kitten"
    " puppy kitty doggy automobile vehicle woman man boy girl child king queen ocean sea beach"
    " forest mountain river city night day morning spring summer autumn winter"
)
"""Words that users type though few captions hold them: they survive the vocabulary's pruning."""

COLORS = {
    "red": 2,
    "orange": 28,
    "yellow": 50,
    "green": 125,
    "teal": 175,
    "blue": 215,
    "purple": 275,
    "pink": 325,
}
"""Hue in degrees that a recoloured object is turned to."""

BACKGROUNDS = {
    "red": (214, 48, 49),
    "orange": (245, 150, 50),
    "yellow": (250, 218, 94),
    "green": (90, 180, 95),
    "blue": (70, 130, 220),
    "light blue": (168, 212, 245),
    "purple": (140, 90, 190),
    "pink": (250, 175, 200),
    "black": (18, 18, 20),
    "gray": (150, 150, 155),
    "dark blue": (25, 40, 90),
    "brown": (130, 90, 60),
    "teal": (50, 160, 155),
    "beige": (238, 224, 200),
}
"""sRGB of the named plain backgrounds; each use adds up to ±12 a channel."""

COLOR_WORDS = re.compile(
    r"\b(red|orange|yellow|green|teal|blue|light blue|purple|pink|brown|black|white|gray|grey"
    r"|golden|gold|violet)\b ?"
)

STYLE_WEIGHTS = {
    "3d": 0.50,
    "noto": 0.16,
    "flat": 0.14,
    "twemoji": 0.10,
    "flag": 0.06,
    "circle flag": 0.04,
}
"""Share of the draws that each picture set gets."""

STYLE_TEMPLATES = {
    "3d": ["{}, 3d style", "3d render of {}", "{}, 3d render", "{} in 3d", "{}, fluent 3d"],
    "flat": ["{}, flat style", "flat icon of {}", "{}, flat design", "{} in flat style"],
    "noto": ["{}, noto style", "{} in noto style", "noto emoji of {}"],
    "twemoji": ["{}, twemoji style", "{} in twemoji style", "twemoji of {}"],
    "circle flag": ["round {}", "{}, round", "circular {}"],
}

PAIR_TEMPLATES = [
    "{} and {}",
    "{} next to {}",
    "{} beside {}",
    "{} on the left and {} on the right",
    "{} with {}",
    "{} and {} side by side",
]

BACKGROUND_TEMPLATES = [" on a {} background", ", {} background", " against a {} background"]
WHITE_BACKGROUND_TEMPLATES = [" on a white background", ", white background"]

# emojibase's group numbers
PEOPLE, ANIMALS, FOOD, TRAVEL, OBJECTS, SYMBOLS, FLAGS = 1, 3, 4, 5, 7, 8, 9
MIRRORED_GROUPS = (PEOPLE, ANIMALS, FOOD, TRAVEL)
FLAG_STYLES = ("flag", "circle flag")

ARTICLE = re.compile(r"(a|an|the) ")
HAS_DETERMINER = re.compile(r"(a|an|the|flag|two|three|number|keycap|pair)\b")


class Layout(NamedTuple):
    """One training example before it is painted."""

    caption: str
    first: int
    """Index of the picture; of the left one in a pair."""
    second: int
    """Index of the right picture; the same as `first` when there is no pair."""
    hue: float
    """Rotation of the hue in turns; 0 leaves the colours alone."""
    flip: int
    """1 mirrors the picture."""
    background: tuple[int, int, int]
    """sRGB, 0..255."""


def with_article(name: str) -> str:
    """'apple' → 'an apple'; plurals, lists and names that have a determiner stay as they are."""
    plural = name.endswith("s") and not name.endswith("ss")
    if HAS_DETERMINER.match(name) or plural or "," in name:
        return name
    return ("an " if name[0] in "aeio" else "a ") + name


def without_article(name: str) -> str:
    return name.split(" ", 1)[1] if ARTICLE.match(name) else name


class Captions:
    """Draws layouts from a data pack. All randomness comes from the generator that is passed in."""

    def __init__(self, pack: Path | str):
        self.items: list[dict[str, Any]] = read_items(pack)
        self.by_style: dict[str, list[int]] = {}
        for index, item in enumerate(self.items):
            self.by_style.setdefault(item["s"], []).append(index)
        self._mark_default_styles()
        for item in self.items:
            item["recolourable"] = is_recolourable(item)
        # symbols (arrows, signs) are many and dull: fewer draws, so that things are drawn better
        self.cumulative_weights = {
            style: np.cumsum([self._weight(self.items[index]) for index in indices])
            for style, indices in self.by_style.items()
        }
        self.styles = [style for style in STYLE_WEIGHTS if style in self.by_style]
        shares = np.cumsum([STYLE_WEIGHTS[style] for style in self.styles])
        self.cumulative_shares = shares / shares[-1]

    @staticmethod
    def _weight(item: dict[str, Any]) -> float:
        return {SYMBOLS: 0.35, OBJECTS: 0.7}.get(item["g"], 1.0)

    def _mark_default_styles(self) -> None:
        """Says which picture a prompt without a style word means: 3d, else Noto, else Twemoji."""
        in_3d, in_noto = (
            {self.items[index]["hex"] for index in self.by_style.get(style, [])}
            for style in ("3d", "noto")
        )
        for item in self.items:
            style, code = item["s"], item["hex"]
            only_twemoji = style == "twemoji" and code not in in_noto and item["g"] != FLAGS
            item["default"] = style in ("3d", "flag") or (
                code not in in_3d and (style == "noto" or only_twemoji)
            )

    def sample(self, rng: random.Random, pair: bool) -> Layout:
        """Draws one example; `pair` puts two objects of one style side by side."""
        first = self._pick(rng)
        item = self.items[first]
        second, hue, flip = first, 0.0, 0
        white = rng.random() < 0.62
        if pair:
            style = item["s"]
            if style in FLAG_STYLES and "3d" in self.by_style:
                style = "3d"
                first = self._pick(rng, style)
                item = self.items[first]
            second = self._pick(rng, style)
            left = with_article(self._noun(item, rng))
            right = with_article(self._noun(self.items[second], rng))
            caption = rng.choice(PAIR_TEMPLATES).format(left, right)
        else:
            caption, hue = self._describe(item, rng)
            flip = int(item["g"] in MIRRORED_GROUPS and rng.random() < 0.25)
            caption = frame(caption, rng.random())
        caption = self._style(caption, item, rng)
        background = (255, 255, 255)
        if not white:
            name = rng.choice(list(BACKGROUNDS))
            red, green, blue = (
                min(255, max(0, channel + rng.randint(-12, 12))) for channel in BACKGROUNDS[name]
            )
            background = (red, green, blue)
            caption += rng.choice(BACKGROUND_TEMPLATES).format(name)
        elif rng.random() < 0.08:
            caption += rng.choice(WHITE_BACKGROUND_TEMPLATES)
        # the empty caption teaches the unconditional velocity that guidance is measured from
        if rng.random() < 0.1:
            caption = ""
        return Layout(caption, first, second, hue, flip, background)

    def _pick(self, rng: random.Random, style: str | None = None) -> int:
        style = style or self.styles[int(np.searchsorted(self.cumulative_shares, rng.random()))]
        weights = self.cumulative_weights[style]
        place = int(np.searchsorted(weights, rng.random() * weights[-1]))
        return self.by_style[style][min(place, len(weights) - 1)]

    @staticmethod
    def _noun(item: dict[str, Any], rng: random.Random) -> str:
        """Mostly a name of the emoji, the main one most often; now and then a keyword."""
        if item["kw"] and item["g"] != FLAGS and rng.random() < 0.08:
            return rng.choice(item["kw"])
        names = item["names"]
        return names[0] if rng.random() < 0.35 else rng.choice(names)

    def _describe(self, item: dict[str, Any], rng: random.Random) -> tuple[str, float]:
        """Caption of a single object, and the hue rotation that makes it true."""
        noun = self._noun(item, rng)
        if item["recolourable"] and rng.random() < 0.3:
            color = rng.choice(list(COLORS))
            hue = (COLORS[color] - item["dom"]["h"]) / 360.0
            base = without_article(COLOR_WORDS.sub("", noun).strip() or noun)
            return f"{'an' if color.startswith('o') else 'a'} {color} {base}", hue
        if item["recolourable"] and rng.random() < 0.15:
            color = item["dom"]["c"]
            if color and not COLOR_WORDS.search(noun):
                noun = f"{color} {without_article(noun)}"
        return (with_article(noun) if rng.random() < 0.8 else noun), 0.0

    @staticmethod
    def _style(caption: str, item: dict[str, Any], rng: random.Random) -> str:
        """Names the style; the default one is mostly left unsaid, so that plain prompts mean it."""
        if item["default"] and rng.random() < 0.75:
            return caption
        templates = STYLE_TEMPLATES.get(item["s"])
        return rng.choice(templates).format(caption) if templates else caption


def is_recolourable(item: dict[str, Any]) -> bool:
    """One saturated hue covers most of it, so turning the hue gives "a purple apple"."""
    dominant = item["dom"]
    plain = dominant["share"] >= 0.8 and dominant["sat"] >= 0.45
    return plain and item["g"] != FLAGS and item["s"] not in FLAG_STYLES


def frame(caption: str, chance: float) -> str:
    """Adds "emoji" or "an image of" to about one caption in nine."""
    if chance < 0.05:
        return f"{caption} emoji"
    if chance < 0.08:
        return f"an image of {caption}"
    if chance < 0.11:
        return f"a picture of {caption}"
    return caption


def vocabulary(pack: Path | str) -> set[str]:
    """Every text whose word pieces the pruned tokenizer has to keep."""
    texts: set[str] = set()
    for item in read_items(pack):
        texts.update(item["names"], item["kw"], [item["label"]])
    texts.update(EVAL_PROMPTS, COLORS, BACKGROUNDS)
    templates = [PAIR_TEMPLATES, BACKGROUND_TEMPLATES, WHITE_BACKGROUND_TEMPLATES]
    for group in [*templates, *STYLE_TEMPLATES.values()]:
        texts.update(template.replace("{}", " ") for template in group)
    texts.update(EXTRA_WORDS.split())
    return texts


def read_items(pack: Path | str) -> list[dict[str, Any]]:
    """
    The pack's entries. Keys: `o`, `n` offset and length in pack.bin; `s` style; `label`, `hex`,
    `g` emojibase's label, code points and group; `names`, `kw`; `dom` the dominant colour
    (`c` name, `h` hue in degrees, `share` of the saturated pixels, `sat` share of saturated ones).
    """
    return json.loads((Path(pack) / "pack.json").read_text(encoding="utf-8"))["items"]
