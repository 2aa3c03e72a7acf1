"""Train DreamBooth LoRA on Stable Diffusion and draw a contest's pictures, natively on Jittor; imports all four others.

`contest` serves everywhere; `submission`, `evaluator` and `leaderboard` are asked by `jdart.running` alone.
"""
