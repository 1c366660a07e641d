"""How the built-in models were made: data, training, export, evaluation."""
