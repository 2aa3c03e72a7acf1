"""Train DreamBooth LoRA on Stable Diffusion and generate a contest's pictures, natively on Jittor."""
