#!/bin/sh
# Make the dataset of the study on unseen domains (docs/results/unseen-domains.md):
#
#     MFR_SHARED=SHARED sh scripts/study/unseen_domains/dataset.sh DATASET
#
# SHARED/data/faces holds lfw, celeb_photo, celeb_caricature, yaleb, orl and people.csv, which names
# the person behind each identity, so that no person stands on two sides of the split.
set -e
data=$1
faces=$MFR_SHARED/data/faces
for domain in celeb_photo celeb_caricature yaleb orl lfw; do
    mfr data import folder "$faces/$domain" --domain $domain --people "$faces/people.csv" --out "$data"
done
mfr data align "$data"
# The darkest photographs of Extended Yale B show a detector nothing; they are cropped already.
mfr data align "$data" --domain yaleb --retry-missed --on-miss resize
mfr data split "$data" --test 0.3 --val 0.1 --seed 0
mfr data mask "$data" --from celeb_photo --as masked --seed 0
for condition in nir sketch low-resolution sunglasses; do
    mfr data simulate "$data" --from celeb_photo --as $condition --condition $condition --seed 0
done
