"""Labs of the theme external knowledge: stores, cards and other ways of adding facts to a model."""
