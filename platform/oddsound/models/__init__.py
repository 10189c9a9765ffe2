"""The networks: autoencoder, convolutional backbone, pooling, projections, the joint model."""
