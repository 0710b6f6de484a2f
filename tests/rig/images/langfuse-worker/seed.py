"""Writes the default model prices, as the worker does once at its start."""

import os
import sys

from postgres_url import Connection

# Dollars for one token.
PRICES = {
    "gpt-4o": ("0.0000025", "0.00001"),
    "gpt-4o-mini": ("0.00000015", "0.0000006"),
    "claude-sonnet-4-5": ("0.000003", "0.000015"),
    "gemini-2.5-pro": ("0.00000125", "0.00001"),
}

statements = []
for model, (for_input, for_output) in PRICES.items():
    statements.append(f"INSERT INTO models (id, model_name, match_pattern) "
                      f"VALUES ('{model}', '{model}', '(?i)^({model})$') ON CONFLICT (id) DO NOTHING;")
    for usage, price in (("input", for_input), ("output", for_output)):
        statements.append(f"INSERT INTO prices (id, model_id, usage_type, price) "
                          f"VALUES ('{model}-{usage}', '{model}', '{usage}', {price}) ON CONFLICT (id) DO NOTHING;")
try:
    _, problem = Connection(os.environ["DATABASE_URL"]).run("\n".join(statements))
except ValueError as error:
    problem = str(error)
if problem:
    print(f"error Error upserting default model prices: {problem}", file=sys.stderr, flush=True)
    sys.exit(1)
print(f"info Finished upserting {len(PRICES)} default models", flush=True)
