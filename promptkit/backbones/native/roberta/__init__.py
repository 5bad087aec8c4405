"""RoBERTa (Liu et al. 2019): BERT with other positions, another tokenizer and another head."""
