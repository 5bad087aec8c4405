"""What `promptkit doctor` says: what is here, what is missing, and whether it computes what it should."""

from promptkit.doctor.report import Diagnosis, diagnose, diagnosis_text

__all__ = ["Diagnosis", "diagnose", "diagnosis_text"]
