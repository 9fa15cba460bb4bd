"""Registers for vision transformers that were trained without: PH-Reg, self-distillation on pictures without labels."""

from perception.models.registers.model import RegisterDistillation, save_student

__all__ = ["RegisterDistillation", "save_student"]
