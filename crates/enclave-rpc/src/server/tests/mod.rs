mod calls;
mod fairness;
mod fixture;
mod frames;
