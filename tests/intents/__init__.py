"""Tests of intent kept in storage."""
