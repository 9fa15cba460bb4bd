"""Depth and camera motion learned from 360-degree video without labels (Wang et al., ACCV 2018, arXiv 1811.05304; BiFuse++, TPAMI 2023)."""
