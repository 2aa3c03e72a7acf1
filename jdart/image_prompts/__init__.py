"""Pictures as prompts: IP-Adapters, their image encoders, cross-attention that looks at pictures beside the text."""
