"""MTCNN (Zhang et al., IEEE SPL 2016) as a face detector."""
