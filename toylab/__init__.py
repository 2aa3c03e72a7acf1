"""How the toy model, the toy evaluator weights and the toy contest are made; `make toy` runs it all."""
