"""What `promptkit doctor` says: what is here, what is missing, and whether it computes what it should."""

from promptkit.doctor.report import diagnose, diagnosis_text

__all__ = ["diagnose", "diagnosis_text"]
