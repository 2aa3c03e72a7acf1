"""Mean and standard deviation of red, green and blue that the networks were trained with, of values from 0 to 1."""

DINO_COLOURS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP_COLOURS = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
