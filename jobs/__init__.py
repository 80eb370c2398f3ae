"""One entry point per stage: reads the recipe, hands the library's function to Spark, Ray or torchrun."""
