"""YuNet (Wu et al., Machine Intelligence Research 2023) by OpenCV: faces in milliseconds."""
