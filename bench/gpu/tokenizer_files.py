"""A tokenizer of Qwen2's make over a small vocabulary: bytes and a few merges."""

import json

# As Qwen2's tokenizer cuts text before it looks for merges.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
MERGES = [
    "t h",
    "th e",
    "i n",
    "a n",
    "Ġ a",
    "Ġ the",
    "e r",
    "o n",
    "r e",
    "o r",
    "o u",
    "s t",
    "Ġ o",
    "Ġo f",
    "in g",
]
END = "<|endoftext|>"
SPECIAL = [END, "<|im_start|>", "<|im_end|>"]
# Known as wholes, but not skipped as special ones are.
PLAIN = ["<think>", "</think>"]

TEMPLATE = """\
{%- set state = namespace(first=true) %}
{%- for message in messages %}
    {%- if state.first and message.role != 'system' and system is defined %}
        {{- '<|im_start|>system\\n' + system + '<|im_end|>\\n' }}
    {%- endif %}
    {%- set state.first = false %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if message.role in ['user', 'system', 'assistant'] %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""


def byte_letters():
    """The letters that byte-level tokenizers write bytes with: printable ones stand for themselves."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + place) for place, byte in enumerate(others)
    }
    return [letters[byte] for byte in range(256)]


def write_tokenizer(folder):
    """Writes tokenizer.json, tokenizer_config.json, vocab.json, merges.txt and chat_template.jinja."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {}
    for token in [*byte_letters(), *(merge.replace(" ", "") for merge in MERGES)]:
        vocabulary.setdefault(token, len(vocabulary))
    added = [
        {
            "id": len(vocabulary) + place,
            "content": content,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": content in SPECIAL,
        }
        for place, content in enumerate(SPECIAL + PLAIN)
    ]
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": False,
        "use_regex": False,
    }
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": WORDS},
                    "behavior": "Isolated",
                    "invert": False,
                },
                byte_level,
            ],
        },
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": [merge.split(" ") for merge in MERGES],
        },
    }
    config = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(token["id"]): {key: token[key] for key in token if key != "id"} for token in added
        },
        "additional_special_tokens": SPECIAL[1:],
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": END,
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False))
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2))
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n")
    (folder / "chat_template.jinja").write_text(TEMPLATE)
