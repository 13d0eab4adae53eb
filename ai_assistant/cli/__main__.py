"""`python -m ai_assistant.cli` is `ai-assistant`."""

from ai_assistant.cli import main

main(prog_name="ai-assistant")
