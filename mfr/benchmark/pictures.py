"""Pictures in the form that pages embed."""

from __future__ import annotations

import base64

import cv2
import numpy as np


def jpeg_in_base64(pixels: np.ndarray, quality: int) -> str:
    """An (H, W, 3) uint8 RGB image as a JPEG; ``quality`` 0-100."""
    # imencode takes BGR.
    _, jpeg = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return base64.b64encode(jpeg.tobytes()).decode()
