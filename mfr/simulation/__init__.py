"""Conditions drawn on crops: masks, glasses, near infrared, sketches and others."""
