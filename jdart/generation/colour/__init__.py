"""The colours of a style: under the noise that a picture starts from, on the way, and when it is finished."""
